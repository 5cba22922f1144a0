"""Selection of the answered list: business rules, diversity, and the order of the best candidates."""
