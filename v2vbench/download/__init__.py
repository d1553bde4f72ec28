"""Archives and pretrained weights: fetched once, resumed, verified."""
