"""The package of boosted trees: models of XGBoost, LightGBM and CatBoost as sums of trees in ONNX."""
