// Prints the ticks that robfig/cron, and so CronJob, has: the reference of crates/api's own.
//
// Each line of the input holds a zone, the first and last second to look at, and a schedule, with tabs between. It
// is answered by one line: the ticks after the first second and until the last one, as seconds since 1970, with
// spaces between; or "invalid".
package main

import (
	"bufio"
	"fmt"
	"log"
	"os"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata"

	"github.com/robfig/cron/v3"
)

func main() {
	lines := bufio.NewScanner(os.Stdin)
	output := bufio.NewWriter(os.Stdout)
	defer output.Flush()
	for lines.Scan() {
		fields := strings.Split(lines.Text(), "\t")
		if len(fields) != 4 {
			log.Fatalf("must have four fields: %q", lines.Text())
		}
		if _, err := time.LoadLocation(fields[0]); err != nil {
			log.Fatal(err)
		}
		ticks, err := ticks(fields[0], seconds(fields[1]), seconds(fields[2]), fields[3])
		if err != nil {
			ticks = []string{"invalid"}
		}
		fmt.Fprintln(output, strings.Join(ticks, " "))
	}
	if err := lines.Err(); err != nil {
		log.Fatal(err)
	}
}

// ticks reads the schedule as the CronJob controller does.
func ticks(zone string, first, last time.Time, text string) ([]string, error) {
	schedule, err := cron.ParseStandard(fmt.Sprintf("TZ=%s %s", zone, text))
	if err != nil {
		return nil, err
	}
	found := []string{}
	for tick := schedule.Next(first); !tick.IsZero() && !tick.After(last); tick = schedule.Next(tick) {
		found = append(found, strconv.FormatInt(tick.Unix(), 10))
	}
	return found, nil
}

func seconds(text string) time.Time {
	number, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		log.Fatal(err)
	}
	return time.Unix(number, 0).UTC()
}
