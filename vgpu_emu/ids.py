"""Numbers that name things: distinct types, so that a resource id is never passed where a context id belongs."""

from typing import NewType

#: virtio-gpu resource, chosen by the driver; 0 is none
ResourceId = NewType("ResourceId", int)
#: virtio-gpu context, chosen by the driver; 0 is none
ContextId = NewType("ContextId", int)
#: an object inside a context, chosen by the user of the context
BlobId = NewType("BlobId", int)
#: a guest file's name for a GEM object
GemHandle = NewType("GemHandle", int)
#: a file descriptor in one process's table
Fd = NewType("Fd", int)
