"""The links daemon: cabled ports addressed, packet filter and wired limit kept, and the way back from all of it."""
