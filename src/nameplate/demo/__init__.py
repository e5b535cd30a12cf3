"""The embedded shop, the practice teacher and the starter model: the whole idea with nothing downloaded."""
