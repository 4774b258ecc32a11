"""The package that makes graphs of scikit-learn's estimators and pipelines."""
