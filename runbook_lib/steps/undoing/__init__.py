"""What the rooms share for taking back: the record, the readings, and what others have done since."""
