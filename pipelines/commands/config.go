package commands

// Config prints the effective configuration.
type Config struct{}

// Run prints YAML that can serve as a configuration file again, but for the masked secrets.
func (Config) Run(env *Env) error {
	s, err := env.Settings()
	if err != nil {
		return err
	}
	text, err := s.YAML()
	if err != nil {
		return err
	}
	_, err = env.Out.Write(text)
	return err
}
