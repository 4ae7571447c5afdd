"""Images and messages arrive, are kept, are found, are passed on."""
