"""What the rooms share for undo: the record of writes, the readings, and what others have done since."""
