#!/usr/bin/env bash
# Measures what each phase of the student is worth: one short teacher, students with and without
# each phase, scores of all.
#
#   runs/ablation.sh
#   DATA=/disk/data OUT=/disk/ablation runs/ablation.sh
#
# About 3 hours on two CPU cores. Stop it at any time and start it again: each command skips what is
# finished and continues from its last clip, shard, checkpoint or render.
# Needs `make setup studio`. VAE, DINO and text encoder are those of assets/tiny.
#
#   step       time     writes
#   clips      50 min   DATA/short DATA/short-cache       100 clips of 25 frames
#   teacher    20 min   OUT/align OUT/ground
#   students   60 min   OUT/autoregress OUT/consistency OUT/no-autoregress
#                       OUT/full OUT/without-autoregress OUT/without-consistency
#   scores     30 min   OUT/eval-teacher OUT/eval-4 OUT/eval-2 OUT/eval   report.json, page.html
#
#   variable   default          meaning
#   DATA       data             clips and caches
#   OUT        out/ablation     networks and scores
#   C2R        .venv/bin/c2r    the command

set -euo pipefail
if [[ ${1:-} == --help ]]; then sed -n '2,/^$/s/^# \{0,1\}//p' "$0"; exit; fi
cd "$(dirname "$0")/.."

DATA=${DATA:-data}
OUT=${OUT:-out/ablation}
C2R=${C2R:-.venv/bin/c2r}

VAE=assets/tiny/vae.safetensors
DINO=assets/tiny/dino
TEXT=assets/tiny/text
TEACHER=$OUT/ground/renderer

# train CONFIG FOLDER STEPS [SETTING ...]: one phase on clips with control, into OUT/FOLDER.
train() {
  "$C2R" train --config "trainer/configs/$1_tiny.yaml" --folder "$OUT/$2" --steps "$3" \
    --data.cache "$DATA/short-cache" --data.cg_ratio 1 --log.sample_every 0 "${@:4}"
}
# evaluate FOLDER [OPTION ...]: scores on the held-out clips, into OUT/FOLDER.
evaluate() { "$C2R" eval --data "$DATA/short" --frames 21 --out "$OUT/$1" "${@:2}"; }

BATCH_2=(--batch 2 --micro_batch 2)
BATCH_4=(--batch 4 --micro_batch 4)
# dmd without rollouts longer than the teacher's clips.
DMD=("${BATCH_2[@]}" --data.frames 21 --dmd.longest 0 --distil.teacher "$TEACHER")
# A student's first chunk always has four steps; later ones have four or two.
STREAM=(--mode stream --stream.first_timesteps "[1000, 750, 500, 250]")

# Clips, and the same as latents.
"$C2R" data synthesize --config trainer/configs/small_set.yaml --scenes 100 --pairs 100 --frames 25 --out "$DATA/short"
"$C2R" data encode "$DATA/short" --out "$DATA/short-cache" --preset tiny --vae "$VAE" --text "$TEXT" --windows 6 --frames 25

# The teacher of all students.
train align align 600 --start.folder null --start.vae "$VAE" --start.dino "$DINO" --start.text "$TEXT" --optim.lr 4e-3 "${BATCH_4[@]}"
train ground ground 350 --start.folder "$OUT/align/renderer" --optim.lr 3e-3 "${BATCH_4[@]}"

# Students: autoregress -> consistency -> dmd, and the same without one of them.
train autoregress autoregress 150 --start.folder "$TEACHER" --data.frames 21
train consistency consistency 120 --start.folder "$OUT/autoregress/renderer" "${BATCH_2[@]}" --optim.warmup 10
train consistency no-autoregress 120 --start.folder "$TEACHER" "${BATCH_2[@]}" --optim.warmup 10
train dmd full 180 --start.folder "$OUT/consistency/renderer" "${DMD[@]}"
train dmd without-autoregress 180 --start.folder "$OUT/no-autoregress/renderer" "${DMD[@]}"
train dmd without-consistency 180 --start.folder "$OUT/autoregress/renderer" "${DMD[@]}"

# Scores of teacher and students by denoising steps, then all of them in one table.
WEIGHTS_4=() WEIGHTS_2=() RENDERS=("teacher=$OUT/eval-teacher/renders/teacher")
for student in autoregress consistency full without-autoregress without-consistency; do
  WEIGHTS_4+=("$student-4=$OUT/$student/renderer")
  WEIGHTS_2+=("$student-2=$OUT/$student/renderer")
  RENDERS+=("$student-4=$OUT/eval-4/renders/$student-4" "$student-2=$OUT/eval-2/renders/$student-2")
done
evaluate eval-teacher --steps 50 --guidance cfg --text-scale 3 --control-scale 2 --weights "teacher=$TEACHER"
evaluate eval-4 "${STREAM[@]}" --stream.timesteps "[1000, 750, 500, 250]" --weights "${WEIGHTS_4[@]}"
evaluate eval-2 "${STREAM[@]}" --stream.timesteps "[1000, 500]" --weights "${WEIGHTS_2[@]}"
evaluate eval --features "$DINO" --teacher teacher --outputs "${RENDERS[@]}"
