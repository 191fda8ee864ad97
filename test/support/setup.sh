#!/usr/bin/env bash
# Installs the servers that the tests use, where they are missing. Debian and its relatives; sudo where it is needed.
set -euo pipefail

missing=()
command -v memcached >/dev/null || missing+=(memcached)
command -v mariadb >/dev/null && command -v mariadb-dump >/dev/null || missing+=(mariadb-client)
[ -x /lib/systemd/systemd ] || missing+=(systemd)
[ -x /usr/sbin/sshd ] || missing+=(openssh-server)
[ -x /usr/sbin/haproxy ] || missing+=(haproxy)
[ -x /usr/sbin/keepalived ] || missing+=(keepalived)
[ -x /usr/sbin/mariadbd ] || missing+=(mariadb-server)
command -v ip >/dev/null || [ -x /usr/sbin/ip ] || missing+=(iproute2)
command -v ssh >/dev/null && command -v ssh-keygen >/dev/null || missing+=(openssh-client)
# For machines in network namespaces.
command -v ip >/dev/null || missing+=(iproute2)
command -v nft >/dev/null || missing+=(nftables)
if [ -n "${CI:-}" ]; then
  # What haproxy is talked to with, one of them.
  for program in socat perl python3; do
    command -v "$program" >/dev/null && continue
    case $program in perl) missing+=(perl-base) ;; python3) missing+=(python3-minimal) ;; *) missing+=(socat) ;; esac
  done
  # For aws-mock, an EC2 server in Java that the tests build themselves.
  command -v javac >/dev/null || missing+=(default-jdk-headless)
  [ -f /usr/share/java/jetty9-server.jar ] && [ -f /usr/share/java/jaxb-impl.jar ] && [ -f /usr/share/java/jaxws-api.jar ] ||
    missing+=(libservlet-api-java libcommons-lang3-java libslf4j-java libfreemarker-java libjoda-time-java
      libjackson2-databind-java libjaxb-api-java libjaxb-java libjaxws-api-java libjetty9-java)
fi
if [ -n "${FLEETBEAT_OPENSTACK:-}" ]; then
  # A real OpenStack, with the database and the queue that it stands on.
  for program in mariadbd nova-api nova-conductor nova-scheduler nova-compute keystone-manage placement-manage glance-api \
    neutron-server uwsgi; do
    command -v "$program" >/dev/null || [ -x "/usr/sbin/$program" ] && continue
    missing+=(mariadb-server rabbitmq-server keystone placement-api glance-api neutron-server nova-api nova-conductor nova-scheduler
      nova-compute nova-compute-qemu uwsgi uwsgi-plugin-python3 python3-pymysql)
    break
  done
fi

if [ ${#missing[@]} -eq 0 ]; then
  echo 'All servers that the tests use are installed.'
  exit
fi
if ! command -v apt-get >/dev/null; then
  echo "There is no apt-get here; please install: ${missing[*]}" >&2
  exit 1
fi

as_root=()
[ "$(id -u)" -eq 0 ] || as_root=(sudo)
"${as_root[@]}" apt-get update -qq
# The tests start servers of their own: none is wanted as a service of this machine, so nothing may be started on installation.
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y -qq --no-install-recommends "${missing[@]}"
