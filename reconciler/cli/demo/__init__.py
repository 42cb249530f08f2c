"""`reconcile demo`: the whole product on this machine, with real Envoys, real Git and real traffic, in under a minute.

Bottom up: `ports`, `interrupts` and `wire` know nothing of the product; `bookinfo` (a child process) and `backends` are the
applications, `traffic` their users; `example` moves the shipped policies to free ports; `clone` is the person at the
keyboard; `stage` puts all of it on its feet and takes it down again; `screen` shows, `scenes` tell the story. Tests and
benchmarks stand on the same stage. Nothing here is used by the product itself.
"""
