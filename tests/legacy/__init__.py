"""Tables as old databases may have them: names, types and constraints of all kinds."""
