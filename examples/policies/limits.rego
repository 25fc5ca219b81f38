# Every file may set limits; the strictest of each kind counts. This one sets
# settings.limit if there is one, for instance {"rows": 1000, "seconds": 30}.
package gateway

limit contains data.settings.limit
