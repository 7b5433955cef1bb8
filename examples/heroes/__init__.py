"""The smallest whole application: teams and heroes in one file."""
