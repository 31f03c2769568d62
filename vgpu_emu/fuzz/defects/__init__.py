"""Planted defects and benign mutants, by name: what a fuzzer must find, and what it must not.

Nothing of this is imported by a component; a defect is planted through the seams of `vgpu_emu.fuzz.defect`.
"""

from vgpu_emu.fuzz.defects import (
    benign,
    benign_choices,
    deeper,
    fences,
    guests,
    mappings,
    outside,
    outside_later,
    outside_renderer,
    renderers,
    requests,
)
from vgpu_emu.fuzz.defects.planted import Planted

#: the benchmark: historical bugs of several projects, each as a class of behaviour
PLANTED: dict[str, type[Planted]] = {
    "P01": requests.StaleCapsetInfo,
    "P02": requests.ScanoutTooMany,
    "P03": requests.IdZero,
    "P04": requests.ErrorWithoutFence,
    "P05": requests.AttachTwice,
    "P06": requests.UnrefKeepsBacking,
    "P07": mappings.UnrefLeavesMapping,
    "P08": mappings.MapMoves,
    "P09": mappings.OffsetWraps,
    "P10": mappings.MapOverlaps,
    "P11": mappings.ImportedIsDefault,
    "P12": mappings.MapInfoShifted,
    "P13": guests.UncachedIsCached,
    "P14": guests.MappedBeforeAnswer,
    "P15": requests.ScanoutOfTheDead,
    "P16": mappings.ExportLeaks,
    "P17": renderers.NotZeroed,
    "P18": requests.EntriesWrap,
    "P19": requests.TransferWraps,
    "P20": fences.FencesSwapped,
    "P21": requests.DetachedFromAll,
    "P22": mappings.MapInfoOfTheDead,
    "P23": mappings.RestoredCached,
    "P24": fences.ExportedToNobody,
}
#: more of depth L3 (several objects at once) and L4 (a restart, a reset, a party that is lost)
DEEPER: dict[str, type[Planted]] = {
    found.__name__: found
    for found in (
        deeper.AttributeOfTheFirst,
        deeper.CachedWhenMany,
        deeper.NeighbourCut,
        deeper.LastEntryMisplaced,
        deeper.BytesOfTheShared,
        deeper.OldEdid,
        deeper.ResetKeepsContexts,
        deeper.ClosedGatesStayOpen,
        deeper.ScanoutOffsetLost,
        fences.FenceLostInSnapshot,
        fences.RingInFiveBits,
        fences.AnsweredTwice,
        guests.PlaceGivenTwice,
        guests.ReferenceKept,
        guests.FenceSignalsAll,
        guests.RingFlagLost,
        renderers.ExportsTheFirst,
        renderers.ContextEndsObjects,
        renderers.LeaksWhenFull,
    )
}
#: by somebody who has not read the oracles
OUTSIDE: dict[str, type] = {
    found.__name__: found
    for found in (
        outside.StaleScanoutBit,
        outside.CursorOfAnotherScanout,
        outside.BackingAttachedAgain,
        outside.LayersOfTheFirstLevel,
        outside.MapInfoByDescriptor,
        outside.LastPageStaysMapped,
        outside.CapsetOfTheLastSize,
        outside_renderer.ObjectOfAnotherContext,
        outside_renderer.RefusedBlobTakesObject,
        outside_later.RingsShareProgress,
        outside_later.GlobalFenceOfOneRing,
        outside_later.FencesOutliveReset,
        outside_later.OldFenceList,
        outside_later.ErrorKeepsObjects,
        outside_later.NewestFenceIsKept,
        outside_later.BackingIsSorted,
        outside_later.AnswersInOrder,
    )
}
#: legal, if unusual: must not be found
BENIGN: dict[str, type[Planted]] = {
    "B1": benign.UnrefRefused,
    "B2": benign.UnfencedReordered,
    "B3": benign.RingsInAnyOrder,
    "B4": benign.PlainErrors,
    "B5": benign.UnmapOfUnmapped,
    "B6": benign.UncachedOnBothSides,
    "B7": benign.SecondMapMoves,
    "B8": benign.TimelineNotEchoed,
    "B9": benign.SilentCursor,
    "B10": benign.LongEdid,
    "B11": benign.OtherUuids,
    "B12": benign.LooseUnused,
    "B13": benign_choices.LateFences,
    "B14": benign_choices.CapsetsReversed,
    "B15": benign_choices.SmallHost,
    "B16": benign_choices.SizesOfDisabled,
    "B17": benign_choices.DetachIsStrict,
    "B18": benign_choices.JoinedEntries,
    "B19": benign_choices.AsksTwice,
}
ALL: dict[str, type] = {**PLANTED, **DEEPER, **OUTSIDE, **BENIGN}
