"""What each VMM answers to what is wrong: the table of conditions, as it was written down from the VMMs' sources.

It is not made from the profiles. UN, OOM, SC, RID, CTX, PAR: RESP_ERR_UNSPEC, _OUT_OF_MEMORY, _INVALID_SCANOUT_ID,
_RESOURCE_ID, _CONTEXT_ID, _PARAMETER. OK: the command's success, silent or not; behind a colon, what it says or leaves.
none: completed without a byte. dead: the VMM panics. A ?: the sources have no answer ("-", "renderer", not applicable);
what stands there was decided for the emulator, docs/profiles.md says why.
"""

COLUMNS = (
    "strict",
    "qemu-2d",
    "qemu-virgl",
    "qemu-rutabaga",
    "crosvm",
    "vhost-device-gpu",
    "vhost-user-gpu",
)

TABLE = """
unknown command                  | UN  | UN    | UN       | UN     | UN        | UN       | UN
CREATE_2D id 0                   | RID | RID   | RID      | OK?    | UN        | UN       | RID
CREATE_3D id 0                   | RID | UN?   | RID      | OK?    | UN        | UN       | UN?
CREATE_2D duplicate id           | RID | RID   | RID      | UN     | UN        | UN       | RID
CREATE_3D duplicate id           | RID | UN?   | RID      | UN     | UN        | UN       | UN?
CREATE_2D bad format             | PAR | PAR   | OK       | UN     | UN        | UN       | PAR
CREATE_2D after a bad format     | OK  | OK    | RID      | OK     | OK        | OK       | OK
CREATE_2D too big                | OOM | OOM   | OK       | UN     | UN?       | UN?      | OOM
UNREF unknown                    | RID | RID   | RID      | UN     | RID       | RID      | RID
UNREF mapped blob                | OK:gone | RID? | OK:gone | OK:stays | OK:stays | dead? | RID?
SET_SCANOUT scanout 16           | SC  | SC    | SC       | UN     | SC        | SC       | SC
SET_SCANOUT scanout 5 of 2       | SC  | SC    | SC       | OK     | SC        | OK       | OK?
SET_SCANOUT resource 0           | OK  | OK    | OK       | OK     | OK        | OK       | OK
SET_SCANOUT unknown resource     | RID | RID   | RID      | UN     | RID       | RID      | RID
SET_SCANOUT no backing           | OK  | UN    | OK?      | OK?    | OK?       | OK?      | OK?
SET_SCANOUT rect outside         | PAR | PAR   | PAR      | OK     | OK        | OK       | PAR?
SET_SCANOUT rect 8x8             | OK  | PAR   | PAR      | OK?    | OK?       | OK?      | OK
SET_SCANOUT x + width wraps      | PAR | PAR   | PAR      | OK?    | OK?       | OK?      | PAR?
FLUSH unknown                    | RID | RID   | OK       | UN     | RID       | RID      | RID
FLUSH id 0                       | RID | RID?  | OK?      | UN?    | OK        | OK       | RID?
FLUSH rect outside               | PAR | PAR   | OK       | OK     | OK        | OK       | PAR?
FLUSH blob that nobody shows     | OK  | PAR   | OK       | OK     | OK        | dead?    | RID?
TRANSFER_2D unknown              | RID | RID   | OK       | UN     | UN        | UN?      | RID?
TRANSFER_2D no backing           | UN  | UN    | OK       | UN     | UN        | UN?      | RID?
TRANSFER_2D of a blob            | OK  | OK    | OK       | OK?    | OK?       | dead?    | RID?
TRANSFER_2D rect outside         | PAR | PAR   | OK       | UN     | UN        | UN?      | PAR
ATTACH unknown                   | RID | RID   | OK       | UN     | RID       | RID      | RID?
ATTACH twice                     | UN  | UN    | OK       | UN     | OK        | OK       | UN
ATTACH 16385 entries             | OOM | UN    | UN       | UN     | OK        | OK       | UN?
ATTACH fewer entries             | PAR | UN    | UN       | UN     | UN        | UN       | UN?
ATTACH outside memory            | PAR | UN    | UN       | UN     | UN        | UN       | UN?
ATTACH 0 entries                 | OK  | OK    | OK       | OK     | UN        | OK?      | OK?
DETACH none attached             | UN  | UN    | OK       | OK     | OK        | OK       | RID?
DETACH unknown                   | RID | RID   | OK?      | UN     | RID       | OK       | RID?
GET_CAPSET_INFO bad index        | PAR | UN    | OK:zero  | UN     | OK:poison | PAR      | UN
GET_CAPSET unknown               | PAR | UN    | PAR      | UN     | UN        | OK:empty | UN?
GET_EDID bad scanout             | SC  | PAR   | PAR      | PAR    | OK:default | UN?     | SC?
ASSIGN_UUID                      | OK:v4 | UN  | UN       | UN     | OK:id     | OK:v4    | UN
ASSIGN_UUID unknown              | RID | UN    | UN       | UN     | RID       | RID      | UN
ASSIGN_UUID without its bit      | UN  | UN    | UN       | UN     | OK:id?    | PAR      | UN
CREATE_BLOB without its bit      | UN  | PAR   | PAR      | OK?    | OK?       | dead?    | UN
CREATE_BLOB id 0                 | RID | RID   | RID      | UN     | UN        | dead     | UN
CREATE_BLOB duplicate id         | RID | RID   | RID      | UN     | UN        | dead     | UN
CREATE_BLOB HOST3D, no 3D        | UN  | PAR   | UN?      | UN     | UN        | dead     | UN
CREATE_BLOB the same, shareable  | UN  | OK    | UN?      | UN     | UN        | dead     | UN
CREATE_BLOB blob_mem 0           | PAR | PAR   | UN       | UN     | UN        | dead     | UN
CREATE_BLOB blob_mem 4           | PAR | PAR   | UN       | UN     | UN        | dead     | UN
CREATE_BLOB mem 0, shareable     | PAR | OK    | UN       | UN     | UN        | dead     | UN
CREATE_BLOB size 0               | PAR | OK    | UN       | UN     | UN        | dead     | UN
CREATE_BLOB short entries        | PAR | OK    | UN       | UN     | UN        | dead     | UN
CREATE_BLOB HOST3D with entries  | PAR | PAR?  | OK       | OK     | OK        | dead     | UN
CREATE_BLOB unknown context      | CTX | PAR?  | UN       | UN     | UN        | dead     | UN
CREATE_BLOB unknown flags        | PAR | OK    | OK       | OK     | OK        | dead     | UN
CREATE_BLOB flag 8               | PAR | OK?   | OK?      | OK?    | OK?       | dead     | UN
MAP unknown                      | RID | UN    | RID      | UN     | RID       | dead     | UN
MAP outside                      | PAR | UN    | PAR      | OK     | UN        | dead     | UN
MAP wraps                        | PAR | UN    | PAR      | OK     | UN        | dead     | UN
MAP unaligned                    | PAR | UN    | UN       | OK     | UN        | dead     | UN
MAP twice                        | UN  | UN    | UN       | UN     | UN        | dead     | UN
MAP twice, shareable             | UN  | UN    | UN       | UN     | OK:both   | dead     | UN
MAP overlap                      | PAR | UN    | OK:over  | OK:over | UN       | dead     | UN
MAP guest blob                   | PAR | UN    | UN       | UN     | UN        | dead     | UN
MAP not mappable                 | PAR | UN?   | OK:NONE  | UN     | UN        | dead     | UN
MAP unknown map_info             | UN  | UN    | OK:NONE  | UN     | UN        | dead     | UN
MAP without a region             | PAR | UN    | PAR      | OK?    | UN?       | dead?    | UN
MAP after unmap, not shareable   | OK  | UN    | OK       | OK?    | UN        | dead     | UN
UNMAP unknown                    | RID | UN    | RID      | UN     | RID       | dead     | UN
UNMAP not mapped                 | UN  | UN    | OK       | UN     | UN        | dead     | UN
CTX_CREATE init without its bit  | UN  | UN    | UN       | OK?    | OK?       | OK?      | UN
CTX_CREATE duplicate             | CTX | UN?   | OK       | UN     | UN        | UN       | UN
CTX_CREATE capset 98             | PAR | UN?   | OK?      | UN?    | UN?       | OK       | UN
CTX_DESTROY unknown              | CTX | UN?   | OK       | UN     | UN        | CTX      | UN
CTX_ATTACH unknown context       | CTX | UN?   | OK       | UN     | UN        | CTX      | UN
CTX_DETACH unknown context       | CTX | UN?   | OK       | UN     | UN        | CTX      | UN
CTX_ATTACH unknown resource      | RID | UN?   | OK?      | UN?    | UN?       | RID      | UN
CTX_DETACH unknown resource      | RID | UN?   | OK?      | UN?    | UN?       | RID      | UN
SUBMIT unknown context           | CTX | UN?   | OK       | UN     | UN        | CTX      | UN
SUBMIT short payload             | PAR | UN?   | PAR      | UN     | PAR       | UN       | UN
SUBMIT no payload                | PAR | UN?   | PAR      | UN     | OK        | UN?      | UN
SUBMIT size 0                    | OK  | UN?   | OK       | OK     | OK        | OK?      | UN
SUBMIT too large                 | OOM | UN?   | PAR      | dead   | OK        | OK?      | UN
UPDATE_CURSOR bad scanout        | SC  | none  | none     | none   | SC        | OK?      | none
UPDATE_CURSOR unknown resource   | RID | none  | none     | none   | RID       | RID      | none
UPDATE_CURSOR wrong size         | PAR | none? | none?    | none?  | OK?       | PAR      | none
UPDATE_CURSOR of 55 bytes        | PAR | none  | none     | none   | UN?       | UN?      | none
"""

#: libkrun has crosvm's column, but for what its notes say
LIBKRUN = {
    "FLUSH blob that nobody shows": "dead?",
    "CREATE_BLOB flag 8": "dead",
    "MAP outside": "OK",
    "MAP wraps": "OK",
    "MAP without a region": "OK?",
    "UPDATE_CURSOR bad scanout": "dead",
    "UPDATE_CURSOR unknown resource": "dead",
    "UPDATE_CURSOR wrong size": "dead",
    "UPDATE_CURSOR of 55 bytes": "dead?",
}


def cells() -> list[tuple[str, str, str]]:
    """(condition, profile, answer), row by row. Raises ValueError for a row that is not whole."""
    found = []
    for line in TABLE.strip().splitlines():
        condition, *answers = [cell.strip() for cell in line.split("|")]
        row = dict(zip(COLUMNS, answers, strict=True))
        row["libkrun"] = LIBKRUN.get(condition, row["crosvm"])
        found += [(condition, profile, answer) for profile, answer in row.items()]
    return found
