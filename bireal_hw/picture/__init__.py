"""Draws an integer graph as SVG: `drawing` draws, `layout` says where, `style` holds colours and meanings.

The picture depends on nothing but the graph and its dataflow, and needs no font, script or file besides itself.
"""
