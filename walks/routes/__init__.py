"""Walking routes: proposals, their attributes and their texts."""
