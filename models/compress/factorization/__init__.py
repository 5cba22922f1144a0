"""Low-rank factorization: the matrix of a linear layer becomes a product of two thin matrices."""
