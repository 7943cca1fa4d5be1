#!/bin/sh
# Stands for whatever knows how to ask a meter: two readings, one object on each line.
echo "asking meter $1" >&2
printf '{"sensor":"%s.meter-%s.energy","value":%s,"unit":"kWh"}\n' "$METER_SITE" "$1" "$(date +%s)"
printf '{"sensor":"%s.meter-%s.voltage","value":229.5,"unit":"V"}\n' "$METER_SITE" "$1"
