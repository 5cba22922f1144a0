"""Names of the tree libraries' own files in an artifact."""

LIGHTGBM_FILE = "model.txt"
XGBOOST_FILE = "model.ubj"
