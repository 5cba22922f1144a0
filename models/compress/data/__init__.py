"""The lists on which a recipe's steps are fitted and its models are measured."""
