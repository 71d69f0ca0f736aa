"""What any program on torch needs: checked arguments, devices, types, memory, threads, processes, files. No networks.

May import: errors.
"""
