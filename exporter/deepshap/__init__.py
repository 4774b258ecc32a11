"""DeepSHAP, exact on recurrent and attention models: compiled from a network into a tensor program."""

from whyport.exporter.deepshap.compile import build_program, compile_deepshap, trace_program

__all__ = ["build_program", "compile_deepshap", "trace_program"]
