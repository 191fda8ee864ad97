#!/usr/bin/env bash
# Builds npm's aws-mock (an EC2 server in Java) into a folder. Nothing is done where it is built already.
#
#   build.sh FOLDER
#
# Needs javac and, of Debian: libservlet-api-java libcommons-lang3-java libslf4j-java libfreemarker-java libjoda-time-java
# libjackson2-databind-java libjaxb-api-java libjaxb-java libjaxws-api-java libjetty9-java
set -euo pipefail

folder=$1
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
[ -f "$folder/classpath" ] && exit

jars=(servlet-api commons-lang3 slf4j-api slf4j-nop freemarker joda-time jackson-annotations jackson-core jackson-databind jaxb-api
  jaxb-core jaxb-impl jaxb-runtime javax.activation istack-commons-runtime txw2 FastInfoset stax-ex jaxws-api jetty9-server
  jetty9-servlet jetty9-http jetty9-io jetty9-util jetty9-security jetty9-util-ajax)
path=
for jar in "${jars[@]}"; do
  [ -f "/usr/share/java/$jar.jar" ] || { echo "aws-mock needs /usr/share/java/$jar.jar" >&2; exit 1; }
  path+=":/usr/share/java/$jar.jar"
done

mkdir -p "$folder/classes"
npm install --prefix "$folder" --no-save --ignore-scripts --no-audit --no-fund --silent aws-mock@1.3.4
source=$folder/node_modules/aws-mock
# Its web service stubs need packages that Java has no more, and its query interface does not need them.
find "$source/cxf-stub/build/stub_src" "$source/src/main/java" -name '*.java' -print0 |
  xargs -0 grep -L -E 'javax\.(jws|xml\.ws)' >"$folder/sources"
javac -nowarn -proc:none -d "$folder/classes" -cp "${path#:}" @"$folder/sources" "$here/Run.java" 2>/dev/null
cp -r "$source"/src/main/resources/* "$folder/classes/"
printf '%s\n' instance.min.boot.time=1000 instance.max.boot.time=1500 instance.min.shutdown.time=1000 \
  instance.max.shutdown.time=1500 \
  >"$folder/classes/aws-mock.properties"
# Written last: where it is, all of the above is too.
printf '%s' "$folder/classes$path" >"$folder/classpath"
