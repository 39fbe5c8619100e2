#!/usr/bin/env bash
# From raw data to four official submission files, their scores and a report. See --help.
set -euo pipefail

. "$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/environment.sh"

# Every folder with a competition.py is a competition.
all_slugs="$(cd "$project/competitions" && printf '%s\n' */competition.py | cut -d/ -f1 | paste -sd' ')"

usage() {
    cat <<TEXT
usage: ./run_all.sh [SLUG ...] [--experiment NAME|all|paper] [--profile sample|full]
                    [--data DIR] [--work DIR] [--weights DIR] [--device auto|cpu|cuda]
                    [--set KEY=VALUE ...]

Makes .venv, makes sample data where no data are given, runs stages 1 to 4 of each competition, validates and scores
the submissions and writes the report. What is done already is not done again; what was stopped goes on.

  SLUG           competitions to run: $all_slugs (all)
  --experiment   an entry of experiments.toml, all of them, or all rows of the paper (champion)
  --profile      full: the experiment's own settings; sample: a cut that takes minutes on a laptop
                 (default: sample on sample data, otherwise full)
  --data DIR     folder that holds one folder per competition, DIR/<SLUG>, in the official layout
                 (data/; a competition without one there is run on sample data)
  --work DIR     where everything is written: DIR/<SLUG> and DIR/report (work/)
  --weights DIR  folder of given weights, for the experiments that start from some (they are never downloaded)
  --device       where to compute (auto)
  --set          change one setting, e.g. training.epochs=3; the run gets a folder of its own (repeatable)
TEXT
}

slugs="" experiment=champion data="" weights="" work="$project/work" stage_flags=()
while [ $# -gt 0 ]; do
    case "$1" in
        -h | --help) usage && exit 0 ;;
        --experiment | --profile | --data | --work | --weights | --device | --set)
            [ $# -ge 2 ] || fail "$1 needs a value; see ./run_all.sh --help"
            case "$1" in
                --experiment) experiment="$2" ;;
                --data) data="$2" ;;
                --work) work="$2" ;;
                --weights) weights="$2" ;;
                --profile)
                    [[ "$2" =~ ^(sample|full)$ ]] || fail "--profile $2: expected sample or full"
                    stage_flags+=(--profile "$2")
                    ;;
                --set)
                    [[ "$2" =~ ^[a-z0-9_.]+= ]] || fail "--set $2: expected key=value, e.g. training.epochs=3"
                    stage_flags+=(--set "$2")
                    ;;
                --device)
                    [[ "$2" =~ ^(auto|cpu|cuda)$ ]] || fail "--device $2: expected auto, cpu or cuda"
                    stage_flags+=(--device "$2")
                    ;;
            esac
            shift 2
            ;;
        -*) fail "unknown flag $1; see ./run_all.sh --help" ;;
        *)
            [[ " $all_slugs " == *" $1 "* ]] || fail "unknown competition $1; expected: $all_slugs"
            slugs="$slugs $1"
            shift
            ;;
    esac
done
slugs="${slugs:-$all_slugs}"
if [ -n "$data" ]; then
    for slug in $slugs; do
        [ -d "$data/$slug" ] || fail "$data/$slug is missing: --data takes the folder that holds the competitions' folders"
    done
fi

[ -z "$weights" ] || [ -d "$weights" ] || fail "--weights $weights: no such folder"

make_environment

for slug in $slugs; do
    names="$("$python" -m competitions experiments "$slug" --which "$experiment")"
    flags=("${stage_flags[@]}" --work "$work/$slug")
    [ -z "$data" ] || flags+=(--data "$data/$slug")
    for name in $names; do
        for stage in 1_preprocess 2_train_folds 3_infer 4_make_submission; do
            own_flags=()
            if [ -n "$weights" ] && [ "$stage" = 2_train_folds ] &&
                grep -q weights_flag "$project/competitions/$slug/$stage.py"; then
                own_flags=(--weights "$weights")
            fi
            "$python" "$project/competitions/$slug/$stage.py" --experiment "$name" "${flags[@]}" "${own_flags[@]}"
        done
    done
done
"$python" -m competitions report --work "$work" $slugs
