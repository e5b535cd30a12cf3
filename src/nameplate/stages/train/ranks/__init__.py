"""Training as one of several processes: who does what, what each computes, and what is put together.

`launch` is light and says who this process is; the rest needs torch.
"""
