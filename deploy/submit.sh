#!/usr/bin/env bash
# Submit a run to the Ray cluster at RAY_ADDRESS, and follow it unless told not to:
#
#   RAY_ADDRESS=http://127.0.0.1:8265 deploy/submit.sh [--no-wait] RUN.toml OUT [more options of `stepforge run`]
#
# OUT is the run folder as the cluster sees it: an absolute path on storage that every node mounts, or an address such
# as s3://bucket/folder. The submission id follows from OUT alone, so a run cannot be under way twice: submitting it
# again follows a run in progress, says so if it is done, and resumes it if it failed or was stopped.
#
# The cluster's token is read by Ray itself from RAY_AUTH_TOKEN_PATH (or ~/.ray/auth_token). Nothing secret belongs on
# this command line or in a runtime environment: Ray shows both to whoever may see the dashboard.
#
# Exit code 0: done, or under way with --no-wait. 1: the run or the cluster failed. 2: bad input, nothing was submitted.
set -euo pipefail

complain() {
  printf 'submit.sh: %s\n' "$1" >&2
  exit "${2:-2}"
}

# The line of Ray's answer that says what is wrong; tracebacks stand around it.
reason() {
  grep -E '^[A-Za-z_.]*(Error|Exception):' <<<"$1" | tail -n 1 || tail -n 1 <<<"$1"
}

# What Ray knows of this submission: new, under way, succeeded, failed or was stopped.
state() {
  local answer
  if ! answer=$(ray job status --log-color false "$id" 2>&1); then
    [[ $answer == *"$id does not exist"* ]] || complain "$(reason "$answer")" 1
    answer=new
  fi
  case $answer in
    *"Job '$id' succeeded"*) echo succeeded ;;
    *"Job '$id' failed"*) echo failed ;;
    *"Job '$id' was stopped"*) echo 'was stopped' ;;
    new) echo new ;;
    *) echo 'under way' ;;
  esac
}

submit() {
  # The run file alone travels. A whole working directory would, and its modules would shadow the installed ones.
  local answer
  parcel=$(mktemp -d)
  trap 'rm -rf "$parcel"' EXIT
  cp "$run_file" "$parcel/"
  # Ray holds SIGINT back from jobs and ends them 3 s after SIGTERM; with these, `ray job stop` is a Ctrl-C.
  answer=$(ray job submit --log-color false --no-wait --submission-id "$id" --working-dir "$parcel" \
    --runtime-env-json '{"env_vars": {"RAY_JOB_STOP_SIGNAL": "SIGINT", "RAY_JOB_STOP_WAIT_TIME_S": "60"}}' \
    -- stepforge run "$(basename "$run_file")" --out "$out" "$@" 2>&1) || complain "$(reason "$answer")" 1
  echo "submit.sh: $id: submitted"
}

wait=yes
[[ ${1:-} != --no-wait ]] || { wait=no && shift; }
[[ $# -ge 2 ]] || complain 'usage: deploy/submit.sh [--no-wait] RUN.toml OUT [more options of stepforge run]'
run_file=$1 out=${2%/}
shift 2
[[ -f $run_file ]] || complain "$run_file: no such file"
command -v ray >/dev/null || complain 'ray is not on the PATH; activate its environment'
[[ $out == /* || $out == *://* ]] || complain "$out: not an absolute path or an address; a relative one would be lost with the job's folder"
# Without an address Ray would quietly start a cluster on this machine.
[[ ${RAY_ADDRESS:-} == http*://* ]] || complain 'RAY_ADDRESS: set it to the address of the job server, such as http://127.0.0.1:8265'
# The token and the run travel as they are: plain http only to this machine, which is where a tunnel ends.
[[ $RAY_ADDRESS == https://* || $RAY_ADDRESS =~ ^http://(127\.[0-9.]+|localhost|\[::1\])(:[0-9]+)?/?$ ]] ||
  complain 'RAY_ADDRESS: plain http to another machine would show the token to the network; use https, or a tunnel: ssh -L 8265:127.0.0.1:8265 HEAD'
export RAY_AUTH_MODE=${RAY_AUTH_MODE:-token}

id=stepforge-$(basename "$out" | tr -c 'A-Za-z0-9\n' '-')-$(printf '%s' "$out" | sha256sum | cut -c 1-8)
now=$(state)
echo "submit.sh: $id: $now"
case $now in
  succeeded)
    echo "submit.sh: to look for more to do all the same: ray job delete $id, then this again"
    exit 0
    ;;
  failed | 'was stopped')
    ray job delete "$id" >/dev/null 2>&1 # Ray's record of it; the run folder stays, and the run resumes from it
    submit "$@"
    ;;
  new) submit "$@" ;;
esac
[[ $wait == yes ]] || exit 0
ray job logs --log-color false --follow "$id"
[[ $(state) == succeeded ]]
