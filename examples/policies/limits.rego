# Every file may set limits; the strictest of each kind counts. This one sets
# settings.limit if there is one, for instance {"rows": 1000, "seconds": 30}, and
# that of settings.limits for the target's label "env".
package gateway

limit contains data.settings.limit

limit contains data.settings.limits[input.target.labels.env]
