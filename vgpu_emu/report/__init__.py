"""Reports of runs: pure functions from a Story, or from the events of a log, to something to look at.

    story                                       what a report tells: runs, their events, conflicts, walkthroughs
    page                                        html(story): one page, no server, no network
    mermaid, perfetto                           the events as a diagram's text and as a trace
    threads                                     which events belong together: request and answer, all about one blob
    fields, sequence                            the page's messages, byte by byte
    clashes, stack, region, map, lines, grid    the page's other parts
    kinds                                       which colour, pattern and word a cache attribute has

The same input gives the same output: no dates, no random numbers. What a log says is somebody else's text.
"""
