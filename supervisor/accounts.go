package supervisor

import (
	"fmt"
	"os"

	"github.com/sourcegraph/appliance/services"
	"github.com/sourcegraph/appliance/supervisor/process"
	"github.com/sourcegraph/appliance/supervisor/users"
)

// account is who a service runs as.
type account struct {
	name     string
	uid, gid int  // process.NoChange: as the appliance itself
	named    bool // has an entry in passwd
}

// own makes the path the account's.
func (a account) own(path string) error {
	if a.uid == process.NoChange {
		return nil
	}
	if err := os.Lchown(path, a.uid, a.gid); err != nil {
		return fmt.Errorf("give %s to %s: %w", path, a.name, err)
	}
	return nil
}

func (h *Host) account(inst services.Instance) (account, error) {
	if inst.User == "root" && h.separate {
		return account{name: "root", named: true}, nil
	}
	id, err := h.users.Of(inst.Service, inst.User)
	if err != nil {
		return account{}, err
	}
	name := id.Account
	if name == "" {
		name = fmt.Sprintf("uid %d", id.UID)
	}
	return account{name: name, uid: id.SpecUID(), gid: id.GID, named: id.Account != "" || !h.separate && h.named}, nil
}

// reserve finds the users of all instances at once, and gives the nameless ones a name.
func (h *Host) reserve(insts []services.Instance) error {
	accounts := map[string]string{}
	for _, inst := range insts {
		if inst.User != "root" {
			accounts[inst.Service] = inst.User
		}
	}
	if err := h.users.Reserve(accounts); err != nil {
		return err
	}
	if err := h.names.write(insts, h.account); err != nil { // a full disk must not keep a supervisor from what runs (E46)
		h.log.Warn("the names of users without an account cannot be kept", "err", err)
	}
	return nil
}

// uidOf is whom the instance runs as, by number.
func (h *Host) uidOf(inst services.Instance) int {
	acc, err := h.account(inst)
	if err != nil || acc.uid == process.NoChange {
		return os.Geteuid()
	}
	return acc.uid
}

// takeOver makes an existing directory of a service the account's: root changes it, resumably; anybody else refuses one of another owner.
func (h *Host) takeOver(l *life, dir string, acc account) error {
	uid, gid := acc.uid, acc.gid
	if uid == process.NoChange {
		uid, gid = os.Geteuid(), os.Getegid()
	}
	changed, err := users.Own(l.ctx, dir, uid, gid)
	if changed > 0 {
		h.log.Info(fmt.Sprintf("%s and %d files in it belong to %s now", dir, changed, acc.name))
	}
	return err
}
