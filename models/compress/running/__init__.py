"""Runs single steps: finds or makes their children, measures them, and keeps them in the recipe's folder."""
