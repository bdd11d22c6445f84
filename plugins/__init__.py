"""The plugins that are shipped with hubbub, imported as `hubbub_plugins`: one file or folder each."""
