"""The durable store: one SQLite database in one folder, written by one thread.

    reactor   DurableStore collects the changes of a turn; `commit` hands them to the writer as one batch
    writer    joins the batches that wait, writes them in one transaction, and tells the reactor that they are safe

A message is stored once. Its receivers are an *audience*: a row of its own, which later messages to the same receivers
share. How far each session has come is one row of that session (kernel.sessions.records.Progress), so a message that
waits for 1,000 sessions is one row, and an acknowledgement writes no row of a message. A message is deleted once all
sessions of its audience have passed it.
"""
