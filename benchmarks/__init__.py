"""What is measured, one script a claim; both sides of every ratio run together."""
