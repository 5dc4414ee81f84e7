"""The links daemon: takes the cabled ports out of macOS's bridge and gives each cable its addresses."""
