"""Which folder is which package: the folders at the top of the repository are parts of one package, whyport."""

from setuptools import find_packages, setup

FOLDERS = ("runtime", "exporter", "batch")

inner = [package for folder in FOLDERS for package in (folder, *(f"{folder}.{name}" for name in find_packages(folder)))]
setup(
    packages=["whyport", "whyport.executors", *(f"whyport.{package}" for package in inner)],
    package_dir={"whyport": "whyport", **{f"whyport.{folder}": folder for folder in FOLDERS}},
)
