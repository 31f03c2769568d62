#!/bin/bash -eu
# In the image of base-builder-python: targets, seed corpora, dictionaries and options into $OUT.
cd "$SRC/vgpu-emu"
pip3 install .
for target in fuzz/fuzz_*.py; do
    name=$(basename -s .py "$target")
    compile_python_fuzzer "$target"
    printf '[libfuzzer]\nmax_len = 8192\ndict = %s.dict\n' "$name" > "$OUT/$name.options"
done
seeds=$(mktemp -d)
python3 fuzz/make_seeds.py "$seeds"
cp "$seeds"/*.zip "$seeds"/*.dict "$OUT/"
