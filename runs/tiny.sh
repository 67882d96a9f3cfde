#!/usr/bin/env bash
# Trains the small renderer (assets/tiny) from nothing: clips, networks, teacher, student, scores.
#
#   runs/tiny.sh
#   DATA=/disk/data OUT=/disk/tiny runs/tiny.sh
#
# About 16 hours on two CPU cores; times marked ~ are estimates. Stop it at any
# time and start it again: each command skips what is finished and continues from its last clip,
# shard, checkpoint or render. Needs `make setup studio` and, for the perceptual loss,
# `.venv/bin/pip install --no-deps stlpips-pytorch==0.0.2`.
#
#   step              time      writes
#   clips             ~4 h      DATA/small                512x288, 150 training clips, 12 held out
#   vae, dino, text   45 min    OUT/vae OUT/dino OUT/text
#   caches            20 min    DATA/windows-tiny DATA/cache-tiny
#   align (phase 1)   40 min    OUT/align-short OUT/align   text to video
#   ground (phase 2)  90 min    OUT/ground-short OUT/ground OUT/ground-alone
#   joint             ~90 min   OUT/joint                   the teacher
#   scores            15 min    OUT/eval OUT/eval-bare      report.json, page.html
#   student           90 min    OUT/autoregress OUT/consistency OUT/dmd
#   from pairs        40 min    OUT/post-train              the student, on fine clips
#   decoder           60 min    DATA/streamed OUT/guide-crops OUT/guide   512x288, guided
#   scores            20 min    OUT/eval-teacher OUT/eval-4 OUT/eval-2 OUT/eval-1 OUT/eval-student
#   pack              seconds   OUT/shipped                 the folder that ships
#
#   variable   default          meaning
#   DATA       data             clips and caches
#   OUT        out/tiny         networks and scores
#   C2R        .venv/bin/c2r    the command

set -euo pipefail
if [[ ${1:-} == --help ]]; then sed -n '2,/^$/s/^# \{0,1\}//p' "$0"; exit; fi
cd "$(dirname "$0")/.."

DATA=${DATA:-data}
OUT=${OUT:-out/tiny}
C2R=${C2R:-.venv/bin/c2r}

VAE=$OUT/vae/vae.safetensors
DINO=$OUT/dino/dino
TEXT=$OUT/text/text
TEACHER=$OUT/joint/renderer

# train CONFIG FOLDER [SETTING ...]: one phase, into OUT/FOLDER.
train() { "$C2R" train --config "trainer/configs/$1_tiny.yaml" --folder "$OUT/$2" "${@:3}"; }
# evaluate FOLDER [OPTION ...]: scores on the held-out clips, into OUT/FOLDER.
evaluate() { "$C2R" eval --data "$DATA/small" --frames 21 --out "$OUT/$1" "${@:2}"; }

CLIPS=(--data.manifest "$DATA/small/manifest.jsonl")
WINDOWS=(--data.cache "$DATA/windows-tiny")
NEW=(--start.vae "$VAE" --start.dino "$DINO" --start.text "$TEXT")
GUIDED=(--guidance cfg --text-scale 3 --control-scale 2)
# A student's first chunk always has four steps; later ones have four, two or one.
STREAM=(--mode stream --stream.first_timesteps "[1000, 750, 500, 250]")

# Clips: coarse from the sample game, fine from Blender.
"$C2R" data synthesize --config trainer/configs/small_set.yaml --out "$DATA/small"

# The networks that everything else looks through, then clips as their latents.
train autoencode vae "${CLIPS[@]}"
train train_dino dino "${CLIPS[@]}"
train train_text text "${CLIPS[@]}"
"$C2R" data encode "$DATA/small" --out "$DATA/windows-tiny" --preset tiny --vae "$VAE" --text "$TEXT" --windows 6 --frames 33
"$C2R" data encode "$DATA/small" --out "$DATA/cache-tiny" --preset tiny --vae "$VAE" --text "$TEXT"

# The teacher: text to video (align), the coarse input's control (ground), both together (joint).
train align_short align-short "${WINDOWS[@]}" "${NEW[@]}"
train align align "${WINDOWS[@]}" --start.folder "$OUT/align-short/renderer"
train ground_short ground-short "${WINDOWS[@]}" --start.folder "$OUT/align/renderer"
train ground ground "${WINDOWS[@]}" --start.folder "$OUT/ground-short/renderer"
train joint joint "${WINDOWS[@]}" --start.folder "$OUT/ground/renderer"

# For comparison: the first half of ground without align before it, and the teacher without control.
train ground_short ground-alone "${WINDOWS[@]}" --start.folder null "${NEW[@]}"
evaluate eval-bare --steps 20 "${GUIDED[@]}" --weights "two phases=$OUT/ground/renderer" --no-control
evaluate eval --steps 20 "${GUIDED[@]}" --weights "joint=$TEACHER" "two phases=$OUT/ground/renderer" "first half=$OUT/ground-short/renderer" "without phase 1=$OUT/ground-alone/renderer" --outputs "without control=$OUT/eval-bare/renders/two-phases-without-control"

# The student, from the teacher in three phases.
train autoregress autoregress "${WINDOWS[@]}" --start.folder "$TEACHER"
train consistency consistency "${WINDOWS[@]}" --start.folder "$OUT/autoregress/renderer"
train dmd dmd --data.cache "$DATA/cache-tiny" --start.folder "$OUT/consistency/renderer" --distil.teacher "$TEACHER"

# From pairs: the student on its own streams, then the guided decoder on the streams that come out,
# on crops and then on whole frames: in a crop its convolutions see an edge on every side.
train post_train post-train "${CLIPS[@]}" --start.folder "$OUT/dmd/renderer"
GUIDE=("${CLIPS[@]}" --guide.streamed "$DATA/streamed" --start.folder "$OUT/post-train/renderer")
train guide guide-crops "${GUIDE[@]}"
train guide guide "${GUIDE[@]}" --start.vae "$OUT/guide-crops/vae.safetensors" --guide.pixels.crop 0 --batch 1 --micro_batch 1 --optim.ema 0.99 --guide.judge.weight 0.02 --guide.judge.begin 0.4 --guide.student_share 0.7 --guide.pixels.perceptual 0.25 --optim.lr 8e-4 --steps 1100

# Scores of teacher and students by denoising steps, then all of them in one table.
evaluate eval-teacher --steps 50 "${GUIDED[@]}" --weights "teacher=$TEACHER"
evaluate eval-4 "${STREAM[@]}" --stream.timesteps "[1000, 750, 500, 250]" --weights "autoregress 4=$OUT/autoregress/renderer" "consistency 4=$OUT/consistency/renderer" "dmd 4=$OUT/dmd/renderer"
evaluate eval-2 "${STREAM[@]}" --stream.timesteps "[1000, 500]" --weights "consistency 2=$OUT/consistency/renderer" "dmd 2=$OUT/dmd/renderer" "post-train 2=$OUT/post-train/renderer" "guide 2=$OUT/guide/renderer"
evaluate eval-1 "${STREAM[@]}" --stream.timesteps "[1000]" --weights "dmd 1=$OUT/dmd/renderer"
evaluate eval-student --features "$DINO" --teacher teacher --outputs \
  "teacher=$OUT/eval-teacher/renders/teacher" \
  "autoregress 4=$OUT/eval-4/renders/autoregress-4" \
  "consistency 4=$OUT/eval-4/renders/consistency-4" \
  "dmd 4=$OUT/eval-4/renders/dmd-4" \
  "consistency 2=$OUT/eval-2/renders/consistency-2" \
  "dmd 2=$OUT/eval-2/renders/dmd-2" \
  "post-train 2=$OUT/eval-2/renders/post-train-2" \
  "guide 2=$OUT/eval-2/renders/guide-2" \
  "dmd 1=$OUT/eval-1/renders/dmd-1"

[[ -e $OUT/shipped ]] || "$C2R" weights pack "$OUT/guide/renderer" "$OUT/shipped"
