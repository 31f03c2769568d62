#!/bin/bash -eu
# In the image of base-builder-python: targets, seed corpora, dictionaries and options into $OUT.
cd "$SRC/vgpu-emu"
pip3 install .
for target in fuzz/fuzz_*.py; do
    name=$(basename -s .py "$target")
    # fuzz_wire.py counts the structures of every module there is: its seeds do, too
    compile_python_fuzzer "$target" --collect-submodules vgpu_wire
    printf '[libfuzzer]\nmax_len = 8192\ndict = %s.dict\n' "$name" > "$OUT/$name.options"
done
seeds=$(mktemp -d)
python3 fuzz/make_seeds.py "$seeds"
cp "$seeds"/*.zip "$seeds"/*.dict "$OUT/"
