"""What a mapping really becomes, and what breaks when two mappings of one page disagree.

    x86, mtrr, kvm_intel, kvm_amd, x86_guest   x86-64: PAT, MTRR, EPT, NPT
    arm64, arm64_kvm                           arm64: MAIR, stage 2 with and without FWB
    riscv                                      Svpbmt, the T-Head variant, none
    platform                                   the above by name: platform("amd").derive(Pgprot.WRITECOMBINE)
    alias_rules, aliases                       which pairs of mappings of one page agree
    coherency, views, walkthrough              what a disagreement does to the bytes, step by step
    reports                                    four public bug reports as cases of the model

The tables hold what the manuals and Linux 7.2 say; an effective type is always derived through them. Where a line says
"general knowledge", no second source was found for it.
"""
