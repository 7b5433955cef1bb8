"""The tests. Start at fix_db.py: it says which databases they run on."""
