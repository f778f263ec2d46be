"""Mamba's mixer, the scan beneath it, and the threads that it runs on."""
