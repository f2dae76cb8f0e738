"""Scanners: from bytes and their times to scans that are put to the line's desk.

wedge     bytes -> scans, keys (pure)        a scanner types fast, a person does not
terminal  this terminal, raw while a run has it; or a pipe, or a file of labels
device    a serial scanner, lost and found again
code128   text -> bars;  sheet: the commands of `line.scan_text` as a page to print
"""
