"""What the generator makes: every case with its permanent id, its level and the datapaths that it serves."""
