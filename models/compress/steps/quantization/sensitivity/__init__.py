"""How much the scores suffer if a layer is quantised, and which layers stay in float32 because of it."""
