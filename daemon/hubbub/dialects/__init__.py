"""The dialects that come with hubbub. Bytes in, events out; they never see the hub."""
