"""The commands of the command line, a module each. Heavy imports wait inside the commands, so that help answers at once."""
