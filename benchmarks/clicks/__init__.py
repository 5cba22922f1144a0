"""Generated clicks with a hidden teacher, and a DLRM that is trained on them."""
